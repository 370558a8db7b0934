/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <chat/err.h>

const char *
chat_strerror(enum chat_err err)
{
	switch (err) {
#define CHAT_ERR_SENTENCE(constant, number, name, sentence)                                                  \
	case constant:                                                                                       \
		return sentence;
		CHAT_ERRORS(CHAT_ERR_SENTENCE)
#undef CHAT_ERR_SENTENCE
	}
	return "Unknown error.";
}

const char *
chat_err_name(enum chat_err err)
{
	switch (err) {
#define CHAT_ERR_NAME(constant, number, name, sentence)                                                      \
	case constant:                                                                                       \
		return name;
		CHAT_ERRORS(CHAT_ERR_NAME)
#undef CHAT_ERR_NAME
	}
	return "unknown";
}
