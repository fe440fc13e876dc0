"""Native kernels for a CPU: what torch does badly, in C. The plain form in torch, beside each call, stays for all else.

Nothing here imports torch before it is asked for a kernel.
"""
