# Unit tests of src/store: as in base.mk.
