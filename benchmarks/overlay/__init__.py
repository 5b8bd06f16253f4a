"""How long setting words takes, on a new picture and on a kept one."""
