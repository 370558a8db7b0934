# Manual pages: dist_man_MANS += man/chat-server.8 ...
dist_man_MANS += man/chat-server.8 man/chat-server.conf.5 man/chatctl.8
dist_man_MANS += man/chat-passwd.1 man/chat-passwd.5
dist_man_MANS += man/chat-security.7
dist_man_MANS += man/chat-protocol.7
dist_man_MANS += man/chat-client.1
dist_man_MANS += man/libchat.3
