# The example configuration, the unit for systemd, and the user that this runs as.
EXTRA_DIST += etc/chat-server.conf etc/secure-chat.service.in etc/secure-chat.sysusers
serverconfdir = $(sysconfdir)/secure-chat
systemdunitdir = $(prefix)/lib/systemd/system
sysusersdir = $(prefix)/lib/sysusers.d

systemdunit_DATA = etc/secure-chat.service
CLEANFILES += etc/secure-chat.service
etc/secure-chat.service: etc/secure-chat.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) etc && $(SED) -e 's|@sbindir[@]|$(sbindir)|' -e 's|@sysconfdir[@]|$(sysconfdir)|' \
		$(srcdir)/etc/secure-chat.service.in >$@.new && mv -f $@.new $@

# What an administrator has made of an installed configuration is neither overwritten nor removed.
install-data-local:
	$(MKDIR_P) '$(DESTDIR)$(serverconfdir)' '$(DESTDIR)$(sysusersdir)'
	test -e '$(DESTDIR)$(serverconfdir)/chat-server.conf' || \
		$(INSTALL_DATA) '$(srcdir)/etc/chat-server.conf' '$(DESTDIR)$(serverconfdir)/chat-server.conf'
	$(INSTALL_DATA) '$(srcdir)/etc/secure-chat.sysusers' '$(DESTDIR)$(sysusersdir)/secure-chat.conf'
uninstall-local:
	if cmp -s '$(srcdir)/etc/chat-server.conf' '$(DESTDIR)$(serverconfdir)/chat-server.conf'; then \
		rm -f '$(DESTDIR)$(serverconfdir)/chat-server.conf'; fi
	-rmdir '$(DESTDIR)$(serverconfdir)' 2>/dev/null
	rm -f '$(DESTDIR)$(sysusersdir)/secure-chat.conf'
