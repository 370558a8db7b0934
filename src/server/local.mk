# Everything of the server but main.c is src/server/libserver.la, so that tests can link it.
#
# sbin_PROGRAMS += src/server/chat-server
# src_server_chat_server_SOURCES = src/server/main.c
# src_server_chat_server_LDADD = $(libs_server)
