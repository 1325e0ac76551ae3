package provision

// A Reporter is told what is being done, so that a person can follow it.
type Reporter interface {
	// Begin starts a step. The returned function ends it: with what came of it,
	// or with the error that stopped it.
	Begin(what string) (end func(detail string, err error))
	// Note says something about the running step that is worth seeing once.
	Note(text string)
	// Echo shows a command, or what a person would type for what is done.
	Echo(command string)
}

// step runs f as a step of r.
func step(r Reporter, what string, f func() (detail string, err error)) error {
	end := r.Begin(what)
	detail, err := f()
	end(detail, err)
	return err
}

// Quiet is a Reporter that says nothing.
type Quiet struct{}

// Begin implements [Reporter].
func (Quiet) Begin(string) func(string, error) { return func(string, error) {} }

// Note implements [Reporter].
func (Quiet) Note(string) {}

// Echo implements [Reporter].
func (Quiet) Echo(string) {}
