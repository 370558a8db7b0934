# Event loop, mailboxes, timer wheel, listener.
noinst_LTLIBRARIES += src/net/libnet.la
src_net_libnet_la_SOURCES = \
	src/net/addr.c src/net/addr.h \
	src/net/listener.c src/net/listener.h \
	src/net/loop.c src/net/loop.h \
	src/net/mailbox.c src/net/mailbox.h \
	src/net/wheel.c src/net/wheel.h
