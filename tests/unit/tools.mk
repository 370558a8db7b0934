# Unit tests of src/tools.
