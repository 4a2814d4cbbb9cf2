"""The process that a command runs in; nothing about photographs or colour.

cli               options, messages, progress, exit codes
errors            errors in words: hints, reasons
interrupt         Ctrl-C and SIGTERM
early_interrupt   Ctrl-C while a command's imports last
parallel          work in threads, in order; bounds on what is in memory
process           cores, memory, open files, rank under torchrun
array_file        arrays in a temporary file that leaves nothing behind
atomic_file       atomic writes: files are complete or absent
temporary_folder  a folder that no killed process leaves for good
"""
