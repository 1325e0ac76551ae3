package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
	"github.com/kindlab/kindlab/site"
	"github.com/kindlab/kindlab/site/class"
	"github.com/spf13/cobra"
)

func newClassServe(a *app, file *string) *cobra.Command {
	port, listen := sitePort, ""
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve everybody's pages and the instructor's board",
		Long: `serve is the hub of a class: each attendee comes in by a link of their own, or by the
class's code and their name, and sees their own pages; instructors see the board. It
serves until Ctrl-C; run it again to go on where it was.`,
		Args: cobra.NoArgs,
		RunE: a.withClass(file, func(ctx context.Context, c *classroom, args []string) error {
			c.warns = true
			c.keeper.log = c.logger()
			return c.serve(ctx, first(listen, c.class.Address), port)
		}),
	}
	c.Flags().IntVar(&port, "port", port, "port of the pages; the next free one when it is taken")
	c.Flags().StringVar(&listen, "listen", listen, "address that the pages are served on, instead of the class's")
	return c
}

func (c *classroom) serve(ctx context.Context, listen string, port int) error {
	if err := c.admit(ctx, c.class.Attendees, c.class.Instructors); err != nil {
		return err
	}
	roll := &rollCall{class: c}
	config := class.Config{
		Class: c.class, Course: c.course, Store: c.store, Hosts: hostNames(listen), Log: c.logger(), Version: versions().Kindlab,
		Pages:      func(p labs.Person) site.Config { return c.pagesOf(ctx, p) },
		Kubeconfig: c.kubeconfig,
		Ready:      func(id string) (bool, string) { return roll.ready(ctx, id) },
		Trouble:    c.keeper.trouble,
	}
	if c.class.Isolation == labs.OwnMachine {
		files, _, err := findCourse(c.courseName)
		if err != nil {
			return err
		}
		// Whether a machine is there, the hub knows itself.
		config.Machines, config.Files, config.Ready, config.Kubeconfig = c.store, files, nil, nil
	}
	hub, err := class.New(config)
	if err != nil {
		return err
	}
	beside, stop := context.WithCancel(ctx)
	defer stop()
	go c.renew(beside)
	go c.keeper.run(beside, true)
	err = c.serveOn(ctx, hub, listen, port, "kindlab class serve --port 9000", func(url string) {
		c.url = url
		page, err := c.writeHandout(ctx)
		if err != nil {
			fmt.Fprintf(c.err, "! the hand-out could not be written: %v\n", err)
		}
		fmt.Fprintf(c.err, "\nThe class is at %s\nLinks and the class's code: %s\nCtrl-C ends the pages; run `%s class serve` to go on.\n", c.paint(bold, url), page, callMe())
	})
	if err == nil {
		fmt.Fprintln(c.err, "\nThe pages are closed; environments and progress stay.")
	}
	return err
}

// renew keeps the kubeconfigs on this host valid while the hub runs.
func (c *classroom) renew(ctx context.Context) {
	if c.class.Isolation != labs.OwnNamespace {
		return
	}
	for tick := time.NewTicker(kubeconfigLasts / 4); ; {
		all, err := c.attendees(ctx)
		for _, p := range all {
			err = errors.Join(err, c.of(p.ID, provision.Quiet{}).renew(ctx))
		}
		if err != nil && ctx.Err() == nil {
			c.logger().Warn("renewing kubeconfigs", "err", err)
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
	}
}

// pagesOf wires an attendee's pages to their environment.
func (c *classroom) pagesOf(ctx context.Context, p labs.Person) site.Config {
	s := c.of(p.ID, provision.Quiet{})
	if err := s.place.Attach(ctx); err != nil {
		c.logger().Warn("looking for an environment", "attendee", p.ID, "err", err)
	}
	config := s.pages(ctx, []*labs.Course{c.course})
	if c.class.Isolation == labs.OwnMachine {
		// Their work is elsewhere: what is known of it comes from their machine.
		config.Watch = func(ctx context.Context, _, _ string, _ func([]labs.Verdict)) { <-ctx.Done() }
		config.Reset, config.Answer, config.Question, config.Place = nil, nil, nil, nil
		return config
	}
	config.Place = func(course, lab string) site.Place {
		return site.Place{Work: s.place.LabFolder(course, lab), Namespace: s.place.Namespace(lab),
			Shell: callMe() + " class shell " + p.ID + " " + lab}
	}
	return config
}

// kubeconfig is what an attendee takes to their own kubectl.
func (c *classroom) kubeconfig(ctx context.Context, id, lab string) (string, []byte, error) {
	place := c.of(id, provision.Quiet{}).place
	if place.Tenant != nil {
		data, _, err := place.TenantKubeconfig(ctx, lab, kubeconfigLasts)
		return "", data, err
	}
	data, err := os.ReadFile(place.LabKubeconfig(lab))
	if err != nil {
		return "", nil, fmt.Errorf("reading the kubeconfig of %s: %w", id, err)
	}
	return "", data, nil
}

// kubeconfigLasts is how long a kubeconfig is good that an attendee downloads: a
// day of learning.
const kubeconfigLasts = 12 * time.Hour

// A rollCall knows whose environment is there. It asks a cluster once for all who
// share it, and not again at once.
type rollCall struct {
	class *classroom

	mu       sync.Mutex
	clusters map[string]startedAt
}

type startedAt struct {
	namespaces map[string]bool
	err        error
	at         time.Time
}

func (r *rollCall) ready(ctx context.Context, id string) (ok bool, missing string) {
	place := r.class.of(id, provision.Quiet{}).place
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.clusters[place.Cluster]
	if time.Since(known.at) > 4*time.Second {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		known.namespaces, known.err = place.Started(ctx)
		known.at = time.Now()
		if r.clusters == nil {
			r.clusters = map[string]startedAt{}
		}
		r.clusters[place.Cluster] = known
	}
	if known.err != nil {
		return false, "the cluster does not answer"
	}
	return place.Ready(r.class.course, known.namespaces)
}
