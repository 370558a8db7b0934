/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Replays a target's inputs, as TAP: see fuzz.h.  With arguments: these files only, to look at one by hand.
 */

#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX_BYTES (1 << 20)
#define MUTATED_RUNS    3000 /* a tenth of a second for most targets */

struct input {
	char *name;
	uint8_t *data;
	size_t size;
};

static struct input *inputs;
static size_t input_count;

static void
die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/* In memory of exactly that size, so that a sanitizer sees a read behind the end. */
static void
run(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);

	if (!exact)
		die("malloc");
	if (size > 0)
		memcpy(exact, data, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
}

static void
load(const char *path)
{
	struct input in = {.name = strdup(path), .data = malloc(INPUT_MAX_BYTES)};
	FILE *f = fopen(path, "re");

	if (!f || !in.name || !in.data)
		die(path);
	in.size = fread(in.data, 1, INPUT_MAX_BYTES, f);
	if (ferror(f))
		die(path);
	fclose(f);
	in.data = realloc(in.data, in.size ? in.size : 1);
	inputs = reallocarray(inputs, input_count + 1, sizeof(*inputs));
	if (!inputs || !in.data)
		die("realloc");
	inputs[input_count++] = in;
}

static int
visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* In order of name; a directory that is not there has no files. */
static size_t
load_directory(const char *path)
{
	struct dirent **entries;
	int n = scandir(path, &entries, visible, alphasort);

	if (n < 0 && errno != ENOENT)
		die(path);
	for (int i = 0; i < n; i++) {
		char *file;

		if (asprintf(&file, "%s/%s", path, entries[i]->d_name) < 0)
			die("asprintf");
		load(file);
		free(file);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return n < 0 ? 0 : (size_t)n;
}

/* splitmix64 */
static uint64_t
next_random(uint64_t *seed)
{
	uint64_t z = (*seed += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* One to four changes: a bit, a byte, an interesting byte, a cut, a piece doubled.  Returns the new size. */
static size_t
mutate(uint8_t *data, size_t size, size_t cap, uint64_t *seed)
{
	static const uint8_t interesting[] = {0, 1, 0x7f, 0x80, 0xfe, 0xff, ':', '\n'};

	for (uint64_t n = next_random(seed) % 4 + 1; n > 0; n--) {
		size_t at = size ? next_random(seed) % size : 0;
		size_t piece = size - at > 16 ? next_random(seed) % 16 + 1 : size - at;

		switch (next_random(seed) % 6) {
		case 0:
			if (size > 0)
				data[at] ^= (uint8_t)(1u << next_random(seed) % 8);
			break;
		case 1:
			if (size > 0)
				data[at] = (uint8_t)next_random(seed);
			break;
		case 2:
			if (size > 0)
				data[at] = interesting[next_random(seed) % sizeof(interesting)];
			break;
		case 3:
			size = at;
			break;
		case 4: /* a piece is left out */
			memmove(data + at, data + at + piece, size - at - piece);
			size -= piece;
			break;
		default:
			if (size + piece <= cap) {
				memmove(data + at + piece, data + at, size - at);
				size += piece;
			}
			break;
		}
	}
	return size;
}

static void
run_mutated(void)
{
	uint64_t seed = 1;

	for (int i = 0; i < MUTATED_RUNS; i++) {
		const struct input *in = &inputs[next_random(&seed) % input_count];
		size_t cap = in->size + 64;
		uint8_t *data = malloc(cap);

		if (!data)
			die("malloc");
		memcpy(data, in->data, in->size);
		run(data, mutate(data, in->size, cap, &seed));
		free(data);
	}
}

int
main(int argc, char **argv)
{
	const char *srcdir = getenv("abs_top_srcdir");
	const char *name = strrchr(program_invocation_short_name, '_');
	size_t at = 0, known;

	if (argc > 1) {
		for (int i = 1; i < argc; i++)
			load(argv[i]);
		for (size_t i = 0; i < input_count; i++) {
			printf("%s\n", inputs[i].name);
			fflush(stdout);
			run(inputs[i].data, inputs[i].size);
		}
		return 0;
	}
	printf("1..3\n");
	for (int kind = 0; kind < 2; kind++) {
		const char *dir = kind == 0 ? "corpus" : "crashes";
		char *path;

		if (!name || asprintf(&path, "%s/tests/fuzz/%s/%s", srcdir ? srcdir : ".", dir, name + 1) < 0)
			die("asprintf");
		known = load_directory(path);
		for (; at < input_count; at++) {
			/* The last of these lines names the input that ended the program. */
			printf("# %s\n", inputs[at].name);
			fflush(stdout);
			run(inputs[at].data, inputs[at].size);
		}
		/* A target without a corpus tests nothing. */
		printf("%sok %d - %s: %zu inputs\n", kind == 0 && known == 0 ? "not " : "", kind + 1, dir,
		    known);
		free(path);
	}
	fflush(stdout);
	if (input_count > 0)
		run_mutated();
	printf("ok 3 - %d inputs made from them\n", MUTATED_RUNS);
	for (size_t i = 0; i < input_count; i++) {
		free(inputs[i].name);
		free(inputs[i].data);
	}
	free(inputs);
	return 0;
}
