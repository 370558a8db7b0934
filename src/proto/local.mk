# Frames, limits, the message table and the signed layouts.
#
# noinst_LTLIBRARIES += src/proto/libchatpb.la src/proto/libproto.la
# EXTRA_DIST += src/proto/chat.proto
# nodist_src_proto_libchatpb_la_SOURCES = $(PROTO_GENERATED)
# src_proto_libchatpb_la_SOURCES =
# src_proto_libchatpb_la_CFLAGS = $(BASE_CFLAGS) $(GENERATED_CFLAGS)
# src_proto_libchatpb_la_LIBADD = $(PROTOBUF_C_LIBS)
# src_proto_libproto_la_SOURCES = src/proto/frame.c ...
# BUILT_SOURCES += $(PROTO_GENERATED)
# CLEANFILES += $(PROTO_GENERATED)

# Included as "proto/chat.pb-c.h"; one run of protoc-c writes both files.
PROTO_GENERATED = src/proto/chat.pb-c.c src/proto/chat.pb-c.h
src/proto/chat.pb-c.c: src/proto/chat.proto
	$(AM_V_GEN)$(MKDIR_P) src/proto && \
	$(PROTOC_C) --proto_path=$(srcdir)/src/proto --c_out=src/proto $(srcdir)/src/proto/chat.proto
src/proto/chat.pb-c.h: src/proto/chat.pb-c.c
	@test -f $@ && touch $@
