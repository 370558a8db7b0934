# Frames, limits, the tables of requests and answers.

noinst_LTLIBRARIES += src/proto/libchatpb.la src/proto/libproto.la
EXTRA_DIST += src/proto/chat.proto

# Included as "proto/chat.pb-c.h".  One run of protoc-c writes both files.  To the compiler the header is a system
# header: its initializers would fail our -Wcast-qual in every file that uses one.
PROTO_GENERATED = src/proto/chat.pb-c.c src/proto/chat.pb-c.h
BUILT_SOURCES += $(PROTO_GENERATED)
CLEANFILES += $(PROTO_GENERATED)
src/proto/chat.pb-c.c: src/proto/chat.proto
	$(AM_V_GEN)$(MKDIR_P) src/proto/protoc.tmp && \
	$(PROTOC_C) --proto_path=$(srcdir)/src/proto --c_out=src/proto/protoc.tmp $(srcdir)/src/proto/chat.proto && \
	{ echo '#pragma GCC system_header'; cat src/proto/protoc.tmp/chat.pb-c.h; } >src/proto/chat.pb-c.h && \
	mv -f src/proto/protoc.tmp/chat.pb-c.c $@ && rm -rf src/proto/protoc.tmp
src/proto/chat.pb-c.h: src/proto/chat.pb-c.c
	@if test -f $@; then touch $@; else rm -f $< && $(MAKE) $(AM_MAKEFLAGS) $<; fi

nodist_src_proto_libchatpb_la_SOURCES = $(PROTO_GENERATED)
src_proto_libchatpb_la_SOURCES =
src_proto_libchatpb_la_CFLAGS = $(BASE_CFLAGS) $(GENERATED_CFLAGS)
src_proto_libchatpb_la_LIBADD = $(PROTOBUF_C_LIBS)

src_proto_libproto_la_SOURCES = \
	src/proto/answers.c src/proto/answers.h \
	src/proto/frame.c src/proto/frame.h \
	src/proto/frame_push.c \
	src/proto/limits.h \
	src/proto/requests.c src/proto/requests.h \
	src/proto/rules.c src/proto/rules.h \
	src/proto/wire.c src/proto/wire.h
