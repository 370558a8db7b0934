# Unit tests of src/client: as in base.mk.
