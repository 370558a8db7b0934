/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Moving an identity, and forgetting a server: what programs call without a client. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <chat/chat.h>

#include "libchat/config.h"
#include "libchat/datadir.h"
#include "libchat/identity_file.h"
#include "libchat/storage_sqlite.h"
#include "libchat/text.h"
#include "tls/tls_pins.h"

/* The storage of the configuration's account, without a slot. */
static enum chat_err
open_storage(const struct chat_config *config, enum data_dir_use use, struct data_dir *ret_dir,
    struct storage **ret, char **ret_text)
{
	enum chat_err err;

	if (!config->has_account || !config->has_server) {
		text_set(ret_text, "no account or no server was named");
		return CHAT_ERR_INVALID;
	}
	err = data_dir_open(config->data_dir, use, &config->server, &config->account, ret_dir, ret_text);
	if (err)
		return err;
	err = storage_sqlite_open(ret_dir->account, STORAGE_NO_SLOT, ret, ret_text);
	if (err)
		data_dir_fini(ret_dir);
	return err;
}

/* The stored identity as the file has it. */
static enum chat_err
gather(const struct chat_config *config, struct identity_export *ret, char **ret_text)
{
	struct data_dir dir = {.root = NULL};
	struct storage *storage = NULL;
	struct stored_identity stored;
	enum chat_err err;

	memset(&stored, 0, sizeof(stored));
	err = open_storage(config, DATA_DIR_LOOK, &dir, &storage, ret_text);
	if (err == CHAT_ERR_NOT_FOUND)
		text_set(ret_text, "%s has no identity here yet; log in first", config->account.s);
	if (err)
		return err;
	err = storage->ops->get_identity(storage, &stored);
	if (err == CHAT_ERR_NOT_FOUND || (!err && !stored.published)) {
		text_set(ret_text, "%s has no identity here yet; log in first", config->account.s);
		err = CHAT_ERR_NOT_FOUND;
	} else if (err) {
		text_set(ret_text, "%s", storage_sqlite_error(storage));
	}
	if (err)
		goto out;
	ret->realm = stored.realm;
	ret->root = stored.root;
	ret->bag_version = stored.bag_version;
	ret->account = config->account;
	ret->server = config->server;
	err = tls_pins_get(dir.pins, config->server.host, config->server.port, &ret->pin);
	ret->has_pin = err == CHAT_OK;
	if (err == CHAT_ERR_NOT_FOUND)
		err = CHAT_OK;
	else if (err)
		text_set(
		    ret_text, "%s: %s", dir.pins, err == CHAT_ERR_IO ? strerror(errno) : chat_strerror(err));
out:
	explicit_bzero(&stored, sizeof(stored));
	storage_sqlite_close(storage);
	data_dir_fini(&dir);
	return err;
}

/* Puts a sentence about the passphrase where there is none yet. */
static enum chat_err
explain(enum chat_err err, const char *path, char **ret_text)
{
	if (err == CHAT_ERR_INVALID)
		text_set(ret_text, "a passphrase has 1 to %d bytes and no NUL", PASSPHRASE_MAX_BYTES);
	else if (err == CHAT_ERR_CANNOT_OPEN)
		text_set(ret_text, "%s: another passphrase, or a damaged file", path);
	else if (err == CHAT_ERR_NEWER)
		text_set(ret_text, "%s: no exported identity, or one of a newer version", path);
	else if (err)
		text_set(ret_text, "%s: %s", path, chat_strerror(err));
	return err;
}

enum chat_err
chat_identity_export(
    const struct chat_config *config, const char *path, const char *passphrase, size_t len, char **ret_text)
{
	struct identity_export id;
	struct buf file = {0};
	char *text = NULL;
	enum chat_err err;

	memset(&id, 0, sizeof(id));
	err = path && passphrase ? gather(config, &id, &text) : CHAT_ERR_INVALID;
	if (!err)
		err = explain(identity_file_seal(
				  &id, BYTES(passphrase, len), IDENTITY_FILE_COST, &random_kernel, &file),
		    path, &text);
	if (!err)
		err = identity_file_write(path, buf_bytes(&file), &text);
	identity_export_fini(&id);
	buf_fini(&file);
	if (ret_text)
		*ret_text = text;
	else
		free(text);
	return err;
}

/* Pins the server's key, unless it is; one that is pinned already is not replaced. */
static enum chat_err
import_pin(const struct identity_export *id, const char *pins, char **ret_text)
{
	char shown[SERVER_NAME_CHARS], port[SERVER_PORT_CHARS];
	struct digest pin;
	enum chat_err err;

	if (!id->has_pin)
		return CHAT_OK;
	err = tls_pins_get(pins, id->server.host, id->server.port, &pin);
	if (err == CHAT_ERR_NOT_FOUND)
		err = tls_pins_put(pins, id->server.host, id->server.port, &id->pin);
	else if (!err && !digest_equal(&pin, &id->pin))
		err = CHAT_ERR_CONFLICT;
	if (err == CHAT_ERR_CONFLICT) {
		server_name_show(&id->server, shown);
		server_name_port(&id->server, port);
		text_set(ret_text,
		    "the key of %s that is pinned here is not the one in the file; if the file is right, "
		    "type: "
		    "chat-client server forget %s %s",
		    shown, id->server.host, port);
	} else if (err) {
		text_set(ret_text, "%s: %s", pins,
		    err == CHAT_ERR_IO || err == CHAT_ERR_PERMISSION ? strerror(errno) : chat_strerror(err));
	}
	return err;
}

/* In one transaction, so that of two imports one is refused. */
static enum chat_err
import_root(const struct identity_export *id, struct storage *storage, char **ret_text)
{
	struct stored_identity stored = {
	    .realm = id->realm, .root = id->root, .bag_version = id->bag_version, .published = true};
	struct stored_identity there;
	enum chat_err err = storage->ops->begin(storage);

	if (!err) {
		err = storage->ops->get_identity(storage, &there);
		explicit_bzero(&there, sizeof(there));
		if (!err)
			err = CHAT_ERR_EXISTS;
		else if (err == CHAT_ERR_NOT_FOUND)
			err = storage->ops->put_identity(storage, &stored);
		if (!err)
			err = storage->ops->commit(storage);
		else
			storage->ops->rollback(storage);
	}
	if (err == CHAT_ERR_EXISTS)
		text_set(ret_text, "%s has an identity here already", id->account.s);
	else if (err)
		text_set(ret_text, "%s", storage_sqlite_error(storage));
	explicit_bzero(&stored, sizeof(stored));
	return err;
}

static enum chat_err
import(const struct chat_config *config, const struct identity_export *id, char **ret_text)
{
	char shown[SERVER_NAME_CHARS];
	struct data_dir dir = {.root = NULL};
	struct storage *storage = NULL;
	enum chat_err err;

	if (!account_equal(&id->account, &config->account) ||
	    !server_name_equal(&id->server, &config->server)) {
		server_name_show(&id->server, shown);
		text_set(ret_text, "the file is for %s on %s", id->account.s, shown);
		return CHAT_ERR_CONFLICT;
	}
	err = open_storage(config, DATA_DIR_MAKE, &dir, &storage, ret_text);
	if (err)
		return err;
	/* The pin first: an identity without it would ask about the server, and once it is there nothing is
	 * missing. */
	err = import_pin(id, dir.pins, ret_text);
	if (!err)
		err = import_root(id, storage, ret_text);
	storage_sqlite_close(storage);
	data_dir_fini(&dir);
	return err;
}

enum chat_err
chat_identity_import(
    const struct chat_config *config, const char *path, const char *passphrase, size_t len, char **ret_text)
{
	struct identity_export id;
	struct buf file = {0};
	char *text = NULL;
	enum chat_err err = CHAT_ERR_INVALID;

	memset(&id, 0, sizeof(id));
	if (path && passphrase && config->has_account && config->has_server)
		err = identity_file_read(path, &file, &text);
	if (!err)
		err = explain(identity_file_open(buf_bytes(&file), BYTES(passphrase, len), &id), path, &text);
	if (!err)
		err = import(config, &id, &text);
	identity_export_fini(&id);
	buf_fini(&file);
	if (ret_text)
		*ret_text = text;
	else
		free(text);
	return err;
}

enum chat_err
chat_forget_server(const struct chat_config *config)
{
	char *pins = NULL;
	enum chat_err err;

	if (!config->has_server)
		return CHAT_ERR_INVALID;
	err = data_dir_pins(config->data_dir, &pins);
	if (!err)
		err = tls_pins_forget(pins, config->server.host, config->server.port);
	free(pins);
	return err;
}
