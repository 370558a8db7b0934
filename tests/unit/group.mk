# Unit tests of src/group: as in base.mk.
