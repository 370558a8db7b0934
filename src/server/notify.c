/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/notify.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void
notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t len = path != NULL ? strlen(path) : 0;
	int fd;

	/* Other kinds of addresses are for virtual machines. */
	if (len == 0 || len >= sizeof sun.sun_path || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(sun.sun_path, path, len);
	if (path[0] == '@')
		sun.sun_path[0] = '\0'; /* unix(7): abstract, of exactly this length */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&sun,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	(void)close(fd);
}

void
notify_ready(const char *status)
{
	char text[512];

	(void)snprintf(text, sizeof text, "READY=1\nSTATUS=%s\n", status);
	notify(text);
}

void
notify_reloading(void)
{
	char text[96];
	struct timespec ts;

	/* The time is what tells this reload's READY from an earlier one. */
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	(void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n",
	    (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
	notify(text);
}

void
notify_stopping(void)
{
	notify("STOPPING=1\nSTATUS=Saying goodbye to clients\n");
}
