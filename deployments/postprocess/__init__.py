"""The CPU room: untrusted bytes in, finished adverts out. Knows nothing of the device room."""
