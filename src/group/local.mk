# Cards, the roster, epochs, sealing, the log hash: what both sides believe.
noinst_LTLIBRARIES += src/group/libgroup.la
src_group_libgroup_la_SOURCES = \
	src/group/bag.c src/group/bag.h \
	src/group/card.c src/group/card.h \
	src/group/content.c src/group/content.h \
	src/group/epoch.c src/group/epoch.h \
	src/group/event.c src/group/event.h \
	src/group/identity.c src/group/identity.h \
	src/group/loghash.c src/group/loghash.h \
	src/group/newcomer.c src/group/newcomer.h \
	src/group/padding.c src/group/padding.h \
	src/group/recovery.c src/group/recovery.h \
	src/group/roster.c src/group/roster.h src/group/roster_priv.h \
	src/group/roster_apply.c \
	src/group/roster_epochs.c \
	src/group/roster_judge.c \
	src/group/roster_log.c \
	src/group/roster_undo.c \
	src/group/seal.c src/group/seal.h
src_group_libgroup_la_CPPFLAGS = $(AM_CPPFLAGS) $(NETTLE_CFLAGS)
