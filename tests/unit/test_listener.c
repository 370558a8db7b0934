/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/listener.h"

#define HELD 64

/* What a listener told. */
struct door {
	struct loop *loop;
	struct listener *listener;
	int fds[HELD];
	struct net_addr peers[HELD];
	size_t count;
	unsigned refused_address, refused_total, paused;
	int errno_value;
	bool stops;
};

static void
accepted(void *ctx, int fd, const struct net_addr *peer)
{
	struct door *door = ctx;
	socklen_t len = sizeof(int);
	int nodelay = 0;

	assert_true(door->count < HELD);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &len), 0);
	assert_true(nodelay);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	door->fds[door->count] = fd;
	door->peers[door->count++] = *peer;
	if (door->stops)
		listener_stop(door->listener);
}

static void
refused(void *ctx, enum listener_refusal why, const struct net_addr *peer, int errno_value)
{
	struct door *door = ctx;

	assert_int_equal(peer == NULL, why == LISTENER_PAUSED);
	door->refused_address += why == LISTENER_REFUSED_ADDRESS;
	door->refused_total += why == LISTENER_REFUSED_TOTAL;
	door->paused += why == LISTENER_PAUSED;
	door->errno_value = errno_value;
}

static enum chat_err
try_open(struct door *door, const char *const *addresses, size_t count, uint16_t port,
    char why[static LISTENER_WHY_CHARS])
{
	struct listener_config config = {.addresses = addresses,
	    .address_count = count,
	    .port = port,
	    .accepted = accepted,
	    .refused = refused,
	    .ctx = door};

	return listener_open(&config, why, &door->listener);
}

static void
door_open(struct door *door, const char *address)
{
	char why[LISTENER_WHY_CHARS] = "";

	*door = (struct door){.loop = NULL};
	assert_ok(loop_new(NULL, NULL, &door->loop));
	assert_ok(try_open(door, &address, 1, 0, why));
	assert_true(listener_port(door->listener) != 0);
	assert_ok(listener_start(door->listener, door->loop));
}

static void
door_close(struct door *door)
{
	for (size_t i = 0; i < door->count; i++) {
		close(door->fds[i]);
		listener_leave(door->listener, &door->peers[i]);
	}
	assert_int_equal(addr_counts_total(listener_counts(door->listener)), 0);
	listener_free(door->listener);
	loop_free(door->loop);
}

/* A client from a certain address of the loopback network; -1 if it is refused. */
static int
visit(const struct door *door, const char *from)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(listener_port(door->listener))};
	struct sockaddr_in source = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(inet_pton(AF_INET, from, &source.sin_addr), 1);
	assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &to.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&source, sizeof(source)), 0);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* True if the server closed it. */
static bool
is_closed(int fd)
{
	char c;

	return recv(fd, &c, 1, 0) <= 0;
}

TEST(any_port)
{
	char text[NET_ADDR_CHARS];
	struct net_addr addr;
	struct door door;
	int client;

	door_open(&door, "127.0.0.1");
	assert_int_equal(listener_count(door.listener), 1);
	addr = listener_address(door.listener, 0);
	net_addr_ip_text(&addr, text);
	assert_string_equal(text, "127.0.0.1");
	assert_int_equal(addr.port, listener_port(door.listener));
	client = visit(&door, "127.0.0.1");
	assert_true(client >= 0);
	while (door.count == 0)
		assert_ok(loop_turn(door.loop, -1));
	net_addr_ip_text(&door.peers[0], text);
	assert_string_equal(text, "127.0.0.1");
	assert_int_equal(write(client, "x", 1), 1);
	assert_int_equal(addr_counts_get(listener_counts(door.listener), &door.peers[0]), 1);
	close(client);
	door_close(&door);
}

TEST(every_address_with_one_port)
{
	char why[LISTENER_WHY_CHARS] = "";
	struct door door = {.loop = NULL};

	assert_ok(try_open(&door, NULL, 0, 0, why));
	assert_true(listener_count(door.listener) >= 1);
	for (size_t i = 0; i < listener_count(door.listener); i++) {
		struct net_addr addr = listener_address(door.listener, i);

		assert_int_equal(addr.port, listener_port(door.listener));
		for (size_t j = 0; j < i; j++) {
			struct net_addr other = listener_address(door.listener, j);

			assert_memory_not_equal(addr.ip, other.ip, 16);
		}
	}
	listener_free(door.listener); /* never started */
}

TEST(names_and_doubles)
{
	const char *const addresses[] = {"localhost", "127.0.0.1", "127.0.0.2", "127.0.0.1"};
	char why[LISTENER_WHY_CHARS] = "";
	struct door door = {.loop = NULL};
	unsigned v4 = 0;

	assert_ok(try_open(&door, addresses, ARRAY_LEN(addresses), 0, why));
	for (size_t i = 0; i < listener_count(door.listener); i++) {
		struct net_addr addr = listener_address(door.listener, i);

		v4 += net_addr_is_v4(&addr);
	}
	assert_int_equal(v4, 2);
	listener_free(door.listener);
}

TEST(what_cannot_be_opened)
{
	const char *address = "127.0.0.1", *strange = "not an address", *foreign = "192.0.2.1";
	char why[LISTENER_WHY_CHARS] = "", port[16];
	struct door door, second = {.loop = NULL};

	door_open(&door, address);
	assert_err(try_open(&second, &address, 1, listener_port(door.listener), why), CHAT_ERR_EXISTS);
	snprintf(port, sizeof(port), "%u", listener_port(door.listener));
	assert_non_null(strstr(why, port));
	assert_non_null(strstr(why, address));
	assert_non_null(strstr(why, "in use"));
	assert_err(try_open(&second, &strange, 1, 0, why), CHAT_ERR_NOT_FOUND);
	assert_non_null(strstr(why, strange));
	assert_err(try_open(&second, &foreign, 1, 0, why), CHAT_ERR_IO);
	assert_non_null(strstr(why, foreign));
	assert_null(second.listener);
	door_close(&door);
}

TEST(limit_per_address)
{
	int clients[5];
	struct door door;

	door_open(&door, "127.0.0.1");
	listener_set_limits(door.listener, 2, 0);
	for (int i = 0; i < 4; i++)
		clients[i] = visit(&door, "127.0.0.1");
	clients[4] = visit(&door, "127.0.0.5");
	while (door.count + door.refused_address < 5)
		assert_ok(loop_turn(door.loop, -1));
	assert_int_equal(door.count, 3);
	assert_int_equal(door.refused_address, 2);
	assert_true(is_closed(clients[2]));
	assert_true(is_closed(clients[3]));
	/* One goes, and another may come. */
	close(door.fds[0]);
	listener_leave(door.listener, &door.peers[0]);
	door.fds[0] = door.fds[--door.count];
	door.peers[0] = door.peers[door.count];
	close(clients[2]);
	clients[2] = visit(&door, "127.0.0.1");
	while (door.count < 3)
		assert_ok(loop_turn(door.loop, -1));
	assert_int_equal(door.refused_address, 2);
	for (int i = 0; i < 5; i++)
		close(clients[i]);
	door_close(&door);
}

TEST(limit_of_all)
{
	int clients[3];
	struct door door;

	door_open(&door, "127.0.0.1");
	listener_set_limits(door.listener, 0, 2);
	clients[0] = visit(&door, "127.0.0.1");
	clients[1] = visit(&door, "127.0.0.2");
	clients[2] = visit(&door, "127.0.0.3");
	while (door.count + door.refused_total < 3)
		assert_ok(loop_turn(door.loop, -1));
	assert_int_equal(door.count, 2);
	assert_int_equal(door.refused_total, 1);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
	door_close(&door);
}

/* No fds: it pauses instead of spinning, and those who wait are served when there are fds again. */
TEST(out_of_fds)
{
	struct rlimit before, low;
	struct loop_stats stats;
	struct door door;
	int client, lowest;

	door_open(&door, "127.0.0.1");
	client = visit(&door, "127.0.0.1");
	assert_true(client >= 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	lowest = dup(client);
	assert_true(lowest >= 0);
	close(lowest);
	low = before;
	low.rlim_cur = (rlim_t)lowest;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	while (door.paused == 0)
		assert_ok(loop_turn(door.loop, -1));
	assert_int_equal(door.errno_value, EMFILE);
	stats = loop_stats(door.loop);
	while (door.paused == 1) /* after the pause it tries again */
		assert_ok(loop_turn(door.loop, -1));
	assert_true(loop_stats(door.loop).turns - stats.turns <= 8);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	while (door.count == 0)
		assert_ok(loop_turn(door.loop, -1));
	close(client);
	door_close(&door);
}

TEST(stop_in_the_callback)
{
	int clients[3];
	struct door door;

	door_open(&door, "127.0.0.1");
	door.stops = true;
	for (int i = 0; i < 3; i++)
		clients[i] = visit(&door, "127.0.0.1");
	while (door.count == 0)
		assert_ok(loop_turn(door.loop, -1));
	assert_int_equal(door.count, 1);
	assert_int_equal(visit(&door, "127.0.0.1"), -1);
	listener_stop(door.listener);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
	door_close(&door);
}

static struct net_addr
addr_of(const char *text)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(8820)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(8820)};
	struct net_addr addr;

	if (inet_pton(AF_INET, text, &in4.sin_addr) == 1) {
		assert_true(net_addr_from_sockaddr((struct sockaddr *)&in4, &addr));
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
		assert_true(net_addr_from_sockaddr((struct sockaddr *)&in6, &addr));
	}
	return addr;
}

TEST(addresses_as_text)
{
	static const struct {
		const char *in, *ip, *full;
	} cases[] = {
	    {"192.0.2.1", "192.0.2.1", "192.0.2.1:8820"},
	    {"255.255.255.255", "255.255.255.255", "255.255.255.255:8820"},
	    {"::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1:8820"},
	    {"2001:db8::1", "2001:db8::1", "[2001:db8::1]:8820"},
	    {"::1", "::1", "[::1]:8820"},
	    {"1111:2222:3333:4444:5555:6666:7777:8888", "1111:2222:3333:4444:5555:6666:7777:8888",
		"[1111:2222:3333:4444:5555:6666:7777:8888]:8820"},
	};
	char text[NET_ADDR_CHARS];
	struct net_addr addr;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		addr = addr_of(cases[i].in);
		net_addr_ip_text(&addr, text);
		assert_string_equal(text, cases[i].ip);
		net_addr_text(&addr, text);
		assert_string_equal(text, cases[i].full);
	}
	assert_false(net_addr_from_sockaddr(&(struct sockaddr){.sa_family = AF_UNIX}, &addr));
}

TEST(ipv6_is_counted_by_64)
{
	struct net_addr a = addr_of("2001:db8:0:1::1"), b = addr_of("2001:db8:0:1:ffff:ffff:ffff:ffff");
	struct net_addr c = addr_of("2001:db8:0:2::1"), d = addr_of("192.0.2.1"), e = addr_of("192.0.2.2");
	struct net_addr f = addr_of("::ffff:192.0.2.1"), g = addr_of("::1");
	struct addr_counts counts;

	addr_counts_init(&counts);
	assert_ok(addr_counts_enter(&counts, &a, 2));
	assert_ok(addr_counts_enter(&counts, &b, 2));
	assert_err(addr_counts_enter(&counts, &a, 2), CHAT_ERR_LIMIT);
	assert_ok(addr_counts_enter(&counts, &a, 0));
	assert_ok(addr_counts_enter(&counts, &c, 2));
	assert_int_equal(addr_counts_get(&counts, &b), 3);
	assert_ok(addr_counts_enter(&counts, &d, 1));
	assert_err(addr_counts_enter(&counts, &f, 1), CHAT_ERR_LIMIT);
	assert_ok(addr_counts_enter(&counts, &e, 1));
	assert_ok(addr_counts_enter(&counts, &g, 1)); /* not the key of 0.0.0.0/0 */
	assert_int_equal(addr_counts_total(&counts), 7);
	addr_counts_leave(&counts, &b);
	addr_counts_leave(&counts, &b);
	addr_counts_leave(&counts, &b);
	assert_int_equal(addr_counts_get(&counts, &a), 0);
	addr_counts_leave(&counts, &f);
	assert_int_equal(addr_counts_get(&counts, &d), 0);
	assert_int_equal(addr_counts_total(&counts), 3);
	assert_int_equal(counts.map.count, 3); /* no memory for those at zero */
	addr_counts_fini(&counts);
}

/* Loops leave while main enters. */
struct leaver {
	struct addr_counts *counts;
	struct net_addr addr;
};

static void *
leaver_main(void *arg)
{
	struct leaver *leaver = arg;

	for (int i = 0; i < 20000; i++) {
		if (addr_counts_enter(leaver->counts, &leaver->addr, 3) == CHAT_OK)
			addr_counts_leave(leaver->counts, &leaver->addr);
	}
	return NULL;
}

TEST(counts_from_threads)
{
	const char *const texts[] = {"192.0.2.1", "192.0.2.1", "2001:db8::1", "2001:db8::2"};
	struct leaver leavers[ARRAY_LEN(texts)];
	pthread_t threads[ARRAY_LEN(texts)];
	struct addr_counts counts;

	addr_counts_init(&counts);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		leavers[i] = (struct leaver){.counts = &counts, .addr = addr_of(texts[i])};
		assert_int_equal(pthread_create(&threads[i], NULL, leaver_main, &leavers[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(addr_counts_total(&counts), 0);
	assert_int_equal(counts.map.count, 0);
	addr_counts_fini(&counts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(any_port),
	    cmocka_unit_test(every_address_with_one_port),
	    cmocka_unit_test(names_and_doubles),
	    cmocka_unit_test(what_cannot_be_opened),
	    cmocka_unit_test(limit_per_address),
	    cmocka_unit_test(limit_of_all),
	    cmocka_unit_test(out_of_fds),
	    cmocka_unit_test(stop_in_the_callback),
	    cmocka_unit_test(addresses_as_text),
	    cmocka_unit_test(ipv6_is_counted_by_64),
	    cmocka_unit_test(counts_from_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
