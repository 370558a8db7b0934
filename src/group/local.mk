# Cards, the roster, epochs, sealing, the log hash: src/group/libgroup.la.
