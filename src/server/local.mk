# Everything of the server but main.c is src/server/libserver.la, so that tests can link it.
noinst_LTLIBRARIES += src/server/libserver.la
src_server_libserver_la_SOURCES = \
	src/server/audit.c src/server/audit.h \
	src/server/command.c src/server/command.h \
	src/server/conn_ref.h \
	src/server/delivery.c src/server/delivery.h \
	src/server/engine.c src/server/engine.h src/server/engine_impl.h \
	src/server/engine_account.c src/server/engine_announce.c \
	src/server/engine_post.c src/server/engine_room.c src/server/engine_status.c \
	src/server/frame_ref.c src/server/frame_ref.h \
	src/server/outcome.c src/server/outcome.h \
	src/server/server.h \
	src/server/server_limits.c src/server/server_limits.h \
	src/server/view.c src/server/view.h \
	src/server/wrap_list.c src/server/wrap_list.h
