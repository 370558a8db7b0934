# Unit tests of src/server: as in base.mk.
