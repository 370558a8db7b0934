# The terminal client: src/client/chat-client, with $(NCURSESW_LIBS) $(READLINE_LIBS) $(JANSSON_LIBS).
