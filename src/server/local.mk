# Everything of the server but main.c is src/server/libserver.la, so that tests can link it.
noinst_LTLIBRARIES += src/server/libserver.la
src_server_libserver_la_SOURCES = \
	src/server/audit.c src/server/audit.h \
	src/server/check.c \
	src/server/command.c src/server/command.h \
	src/server/config.c src/server/config.h \
	src/server/conn.c src/server/conn.h src/server/conn_io.c \
	src/server/conn_ref.h \
	src/server/control.c src/server/control.h \
	src/server/daemon.c src/server/daemon.h src/server/daemon_impl.h \
	src/server/daemon_control.c src/server/daemon_reload.c \
	src/server/delivery.c src/server/delivery.h \
	src/server/engine.c src/server/engine.h src/server/engine_impl.h src/server/engine_state.h \
	src/server/engine_account.c src/server/engine_announce.c src/server/engine_cursor.c \
	src/server/engine_follow.c \
	src/server/engine_identity.c src/server/engine_lease.c src/server/engine_login.c \
	src/server/engine_retention.c \
	src/server/engine_out.c src/server/engine_passwd.c src/server/engine_post.c src/server/engine_rewrap.c \
	src/server/engine_room.c src/server/engine_status.c src/server/engine_turn.c src/server/engine_watch.c \
	src/server/engine_who.c \
	src/server/engine_thread.c src/server/engine_thread.h \
	src/server/frame_ref.c src/server/frame_ref.h \
	src/server/notify.c src/server/notify.h \
	src/server/options.c src/server/options.h src/server/options_file.c src/server/options_table.c \
	src/server/kdf.c src/server/kdf.h \
	src/server/login_delay.c src/server/login_delay.h \
	src/server/loop_mail.h \
	src/server/loop_thread.c src/server/loop_thread.h \
	src/server/outcome.c src/server/outcome.h \
	src/server/outq.c src/server/outq.h \
	src/server/read_run.c src/server/read_run.h src/server/read_impl.h \
	src/server/read_page.c src/server/read_range.c \
	src/server/readers.c src/server/readers.h \
	src/server/server.c src/server/server.h \
	src/server/server_limits.c src/server/server_limits.h \
	src/server/session.c src/server/session.h src/server/session_account.c \
	src/server/session_answer.c src/server/session_login.c src/server/session_rooms.c \
	src/server/staging.c src/server/staging.h \
	src/server/sub.c src/server/sub.h \
	src/server/start.c src/server/start.h \
	src/server/upkeep.c src/server/upkeep.h \
	src/server/view.c src/server/view.h \
	src/server/work_queue.c src/server/work_queue.h \
	src/server/wrap_list.c src/server/wrap_list.h

sbin_PROGRAMS += src/server/chat-server
src_server_chat_server_SOURCES = src/server/main.c
src_server_chat_server_LDADD = $(libs_server)

# Writes the example file and the list of the manual page from the table of options; tests/check-options.sh.
check_PROGRAMS += src/server/options-doc
src_server_options_doc_SOURCES = src/server/options_doc.c
src_server_options_doc_LDADD = $(libs_server)
