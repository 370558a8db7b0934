# SPDX-License-Identifier: GPL-3.0-or-later

# CHAT_COMPILE_FLAGS(VARIABLE, FLAGS)
# Appends to VARIABLE each of FLAGS that the compiler takes without a warning, so that gcc, clang and older
# versions of either build with what they know.
AC_DEFUN([CHAT_COMPILE_FLAGS], [
AC_LANG_ASSERT([C])
for chat_flag in m4_normalize([$2]); do
	AS_VAR_PUSHDEF([chat_cache], [chat_cv_cc_$chat_flag])
	AC_CACHE_CHECK([whether $CC takes $chat_flag], [chat_cache], [
		chat_save_CFLAGS=$CFLAGS
		CFLAGS="$CFLAGS -Werror $chat_flag"
		AC_COMPILE_IFELSE([AC_LANG_SOURCE([[int chat_flag_probe(int a); int chat_flag_probe(int a) { return a + 1; }]])],
			[AS_VAR_SET([chat_cache], [yes])], [AS_VAR_SET([chat_cache], [no])])
		CFLAGS=$chat_save_CFLAGS
	])
	AS_VAR_IF([chat_cache], [yes], [AS_VAR_APPEND([$1], [" $chat_flag"])])
	AS_VAR_POPDEF([chat_cache])
done
])

# CHAT_LINK_FLAGS(VARIABLE, FLAGS): the same for the linker.
AC_DEFUN([CHAT_LINK_FLAGS], [
AC_LANG_ASSERT([C])
for chat_flag in m4_normalize([$2]); do
	AS_VAR_PUSHDEF([chat_cache], [chat_cv_ld_$chat_flag])
	AC_CACHE_CHECK([whether the linker takes $chat_flag], [chat_cache], [
		chat_save_LDFLAGS=$LDFLAGS
		LDFLAGS="$LDFLAGS $chat_flag"
		AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [AS_VAR_SET([chat_cache], [yes])], [AS_VAR_SET([chat_cache], [no])])
		LDFLAGS=$chat_save_LDFLAGS
	])
	AS_VAR_IF([chat_cache], [yes], [AS_VAR_APPEND([$1], [" $chat_flag"])])
	AS_VAR_POPDEF([chat_cache])
done
])

# CHAT_MISSING(WHAT, DEBIAN-PACKAGE)
# Notes that something is missing; CHAT_REQUIRE_ALL names all of it at once.
AC_DEFUN([CHAT_MISSING], [
AC_MSG_WARN([missing: $1 (Debian package: $2)])
chat_missing="$chat_missing $2"
])

# CHAT_PKG(PREFIX, MODULES, DEBIAN-PACKAGE): PKG_CHECK_MODULES that goes on to the next check.
AC_DEFUN([CHAT_PKG], [PKG_CHECK_MODULES([$1], [$2], [], [CHAT_MISSING([$2], [$3])])])

AC_DEFUN([CHAT_REQUIRE_ALL], [
AS_IF([test -n "$chat_missing"], [
	chat_missing=`echo $chat_missing | tr ' ' '\n' | sort -u | tr '\n' ' '`
	AC_MSG_ERROR([some things that secure-chat is built with are missing.  On Debian this installs them:
    apt-get install $chat_missing])
])
])
