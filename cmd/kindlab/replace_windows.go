package main

// replace runs another program and ends with its exit code. A program there is not
// told under which name it was called, so our tools are called by their command.
func replace(path string, argv, env []string) error {
	if tool, args := calledAs(argv); tool != "" {
		argv = append([]string{"kindlab", "as-" + tool}, args...)
	}
	return runAs(path, argv, env)
}
