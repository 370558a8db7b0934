# Event loop, mailboxes, timer wheel, listener: src/net/libnet.la.
