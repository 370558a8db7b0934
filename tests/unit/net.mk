# Unit tests of src/net: as in base.mk.
