# Unit tests of src/libchat: as in base.mk.
