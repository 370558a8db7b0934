# Unit tests of src/proto: as in base.mk.
