# src/tools/chat-passwd and src/tools/chatctl, both in sbin_PROGRAMS.
