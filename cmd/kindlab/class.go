package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/kindlab/kindlab/checker"
	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
	"github.com/kindlab/kindlab/site/progress"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

const classFile = "class.yaml"

func newClass(a *app) *cobra.Command {
	file := classFile
	c := &cobra.Command{
		Use:   "class",
		Short: "Many attendees at once: their environments, their pages, and a board for the instructor",
		Long: `class reads class.yaml, which says who learns what and how they are kept apart:

  name: monday
  course: docker-to-helm
  isolation: namespace        # a cluster each, namespaces in one cluster, or their own machines
  attendees: [Ada, Bo, Cléo]  # or how many there are
  instructors: [Iris]

  kindlab class up       make everybody's environment, and the hand-out with their links
  kindlab class serve    serve everybody's pages and the instructor's board
  kindlab class status   who is how far
  kindlab class down     remove everything again`,
		RunE: help,
		Args: subcommand,
	}
	c.PersistentFlags().StringVarP(&file, "file", "f", file, "the class's file")
	for _, sub := range []*cobra.Command{
		newClassUp(a, &file), newClassServe(a, &file), newClassStatus(a, &file), newClassAdd(a, &file),
		newClassRemove(a, &file), newClassReset(a, &file), newClassShell(a, &file), newClassDown(a, &file), newClassRole(a),
	} {
		c.AddCommand(sub)
	}
	return c
}

// A classroom is a class with what its commands work on.
type classroom struct {
	*app
	class  *labs.Class
	course *labs.Course
	store  *progress.Store
	keeper *keeper
	docker *client.Client
	shared *checker.Watcher
	made   madeOf
	url    string // of the hub, as attendees reach it
}

func (c *classroom) close() { _ = c.store.Close() }

// withClass opens the class whose file is meant, and closes it after do.
func (a *app) withClass(file *string, do func(ctx context.Context, c *classroom, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.openClass(cmd.Context(), *file)
		if err != nil {
			return err
		}
		defer c.close()
		return do(cmd.Context(), c, args)
	}
}

// openClass reads the class's file and opens what is remembered of the class.
func (a *app) openClass(ctx context.Context, file string) (*classroom, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &provision.Hinted{Err: fmt.Errorf("there is no %s", file), Hint: "write one (`kindlab class --help` shows how), or name it with -f"}
	} else if err != nil {
		return nil, fmt.Errorf("reading the class: %w", err)
	}
	class, err := labs.LoadClass(file, data)
	if err != nil {
		return nil, &provision.Hinted{Err: fmt.Errorf("%s has mistakes:\n%w", file, err), Hint: "mend these lines"}
	}
	if class.Name == a.cluster { // its cluster is called after it, and goes with it
		return nil, &provision.Hinted{Err: fmt.Errorf("a class cannot be called %s: so is your own cluster", class.Name), Hint: "give it another name in " + file}
	}
	dir := filepath.Dir(file)
	class.Kubeconfig = beside(dir, class.Kubeconfig)
	name, err := courseBeside(dir, class.Course)
	if err != nil {
		return nil, err
	}
	course, err := loadCourse(name)
	if err != nil {
		return nil, err
	}
	docker, err := provision.Connect(ctx)
	if err != nil {
		return nil, err
	}
	// Each class has its own folder, so that nothing of it is mixed with what this user learns.
	own := *a
	own.state = filepath.Join(a.state, "class", class.Name)
	own.work = filepath.Join(a.work, "class", class.Name)
	if own.courseName, err = fromAnywhere(name); err != nil {
		return nil, err
	}
	c := &classroom{app: &own, class: class, docker: docker, shared: checker.NewWatcher(), url: first(class.URL, pagesURL(class.Address, sitePort, false))}
	c.course = course.Without(c.place("", provision.Quiet{}).NotOffered)
	if len(c.course.Labs) == 0 {
		return nil, &provision.Hinted{Err: fmt.Errorf("no lab of the course %s can be had with isolation: %s", course.ID, class.Isolation), Hint: "use isolation: cluster"}
	}
	if c.store, err = own.store(); err != nil {
		return nil, err
	}
	c.keeper = newKeeper(c.store, own.logger())
	return c, nil
}

// courseBeside is a course as class.yaml in dir means it: a built-in one, or a folder.
// A slip in the name of a built-in one stays as it was typed.
func courseBeside(dir, name string) (string, error) {
	known, err := courses()
	if err != nil || slices.Contains(known, name) {
		return name, err
	}
	path := beside(dir, name)
	if _, err := os.Stat(path); err != nil && labs.Nearest(name, known) != "" {
		return name, nil
	}
	return path, nil
}

// beside is a path as a file in dir means it.
func beside(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// of is the session of one attendee: the same as on a laptop, but in their place.
func (c *classroom) of(id string, r provision.Reporter) *session {
	own := *c.app
	place := c.place(id, r)
	own.me, own.class, own.cluster = id, c.class.Name, place.Cluster
	own.work = filepath.Join(c.work, id)
	place.Work = own.work
	return &session{app: &own, course: c.course, store: c.store, keeper: c.keeper, shared: c.shared, live: &engines{}, own: &ownLabs{}, place: place}
}

// place is the environment of one attendee; that of nobody when id is empty.
func (c *classroom) place(id string, r provision.Reporter) *provision.Environment {
	e := c.app.place(c.docker, r)
	e.Cluster, e.Attendee, e.Address = c.class.Name, id, c.class.Address
	switch c.class.Isolation {
	case labs.OwnCluster:
		e.Cluster += "-" + id
	case labs.OwnNamespace:
		e.Tenant = &provision.Tenant{CPU: c.class.Resources.CPU, Memory: c.class.Resources.Memory, Pods: c.class.Resources.Pods}
		if c.class.Kubeconfig != "" {
			e.Existing = &provision.Existing{Kubeconfig: c.class.Kubeconfig, Registry: c.class.Registry}
		}
	}
	return e
}

// newClassRole prints the rights that kindlab needs in an existing cluster.
func newClassRole(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "role",
		Short: "Print the one ClusterRole that kindlab needs in a cluster that was there before",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.out.Write(provision.ClassRole())
			return err
		},
	}
}
