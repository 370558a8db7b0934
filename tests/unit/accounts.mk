# Unit tests of src/accounts: as in base.mk.
