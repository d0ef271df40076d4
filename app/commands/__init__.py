"""One module per command, each with EXAMPLE, add_arguments(parser) and run(args, console) -> exit code."""
