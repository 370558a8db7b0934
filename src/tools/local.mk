# chat-passwd and chatctl, both in sbin_PROGRAMS.
sbin_PROGRAMS += src/tools/chat-passwd
src_tools_chat_passwd_SOURCES = \
	src/tools/ask_password.c src/tools/ask_password.h \
	src/tools/chat_passwd.c src/tools/chat_passwd.h \
	src/tools/chat_passwd_commands.c
src_tools_chat_passwd_LDADD = src/accounts/libaccounts.la $(libs_tls)
sbin_PROGRAMS += src/tools/chatctl
src_tools_chatctl_SOURCES = src/tools/chatctl.c src/tools/ctl_show.c src/tools/ctl_show.h
src_tools_chatctl_LDADD = $(libs_base)
