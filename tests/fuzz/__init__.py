"""Files and requests that nobody meant to send, thousands of them, each made from a good one."""
