# Unit tests of src/crypto: as in base.mk.
