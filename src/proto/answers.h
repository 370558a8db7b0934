/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PROTO_ANSWERS_H
#define PROTO_ANSWERS_H

/*
 * The client's side of requests.h: what the server says is checked in one place too, so that what handles
 * answers and pushes sees valid frames only: lengths, ranges, UTF-8, numbers of entries ascending where they
 * have to be.
 *
 * What it is not: whether an answer fits the request with its id is known to who asked; the type that it has
 * to have is request_table[type].answer.  Signatures and hashes are src/group's.
 *
 * Threads: any.
 */

#include <chat/err.h>

#include "base/compiler.h"
#include "proto/chat.pb-c.h"
#include "proto/requests.h"

/*
 * CHAT_ERR_UNSUPPORTED: no body, or one that this version does not know; a push of that sort may be skipped,
 * as an answer it fails its request.  CHAT_ERR_MALFORMED: the server broke the protocol; *ret_fault says
 * where.  A push has id 0 and an answer another; an error may have 0, when it is about a frame that could not
 * be read. *ret_fault is untouched with CHAT_OK.
 */
enum chat_err answers_check(const Chat__V1__ServerFrame *frame, struct request_fault *ret_fault) MUST_USE;

#endif
