# Unit tests of src/tls: as in base.mk.
