# Cards, the roster, epochs, sealing, the log hash: what both sides believe.
noinst_LTLIBRARIES += src/group/libgroup.la
src_group_libgroup_la_SOURCES = \
	src/group/bag.c src/group/bag.h \
	src/group/card.c src/group/card.h \
	src/group/content.c src/group/content.h \
	src/group/epoch.c src/group/epoch.h \
	src/group/identity.c src/group/identity.h \
	src/group/loghash.c src/group/loghash.h \
	src/group/padding.c src/group/padding.h \
	src/group/recovery.c src/group/recovery.h \
	src/group/seal.c src/group/seal.h
src_group_libgroup_la_CPPFLAGS = $(AM_CPPFLAGS) $(NETTLE_CFLAGS)
