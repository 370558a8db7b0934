# Everything of the server but main.c is src/server/libserver.la, so that tests can link it.
noinst_LTLIBRARIES += src/server/libserver.la
src_server_libserver_la_SOURCES = \
	src/server/delivery.c src/server/delivery.h \
	src/server/engine.h \
	src/server/frame_ref.c src/server/frame_ref.h \
	src/server/view.c src/server/view.h
