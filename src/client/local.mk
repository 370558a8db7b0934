# The terminal client.  All but main() is a library, so that tests can link it with a libchat of their own.
noinst_LTLIBRARIES += src/client/libclient.la
src_client_libclient_la_SOURCES = \
	include/chat/chat.h \
	src/client/actions.c src/client/actions.h \
	src/client/app.c src/client/app.h \
	src/client/ask.c src/client/ask.h \
	src/client/commands.c src/client/commands.h \
	src/client/complete.c src/client/complete.h \
	src/client/filter.c src/client/filter.h \
	src/client/identity_cmd.c src/client/identity_cmd.h \
	src/client/input.c src/client/input.h \
	src/client/json.c src/client/json.h \
	src/client/json_commands.c \
	src/client/json_event.c \
	src/client/lines.c src/client/lines.h \
	src/client/options.c src/client/options.h \
	src/client/out.c src/client/out.h \
	src/client/plain.c src/client/plain.h \
	src/client/prompt.c src/client/prompt.h \
	src/client/queries.c src/client/queries.h \
	src/client/questions.c src/client/questions.h \
	src/client/requests.c src/client/requests.h \
	src/client/rooms.c src/client/rooms.h \
	src/client/secret.c src/client/secret.h \
	src/client/signals.c src/client/signals.h \
	src/client/text.c src/client/text.h \
	src/client/wrap.c src/client/wrap.h
src_client_libclient_la_CPPFLAGS = $(AM_CPPFLAGS) $(READLINE_CFLAGS) $(JANSSON_CFLAGS)
src_client_libclient_la_LIBADD = $(READLINE_LIBS) $(JANSSON_LIBS) $(LIBBSD_LIBS)

# What libchat hides is not in it, so the few parts of base that the client uses are its own copy.
bin_PROGRAMS += src/client/chat-client
src_client_chat_client_SOURCES = src/client/main.c
src_client_chat_client_LDADD = src/client/libclient.la src/libchat/libchat.la $(libs_base)
