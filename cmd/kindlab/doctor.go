package main

import (
	"context"
	"fmt"

	"github.com/kindlab/kindlab/provision"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"
)

func newDoctor(a *app) *cobra.Command {
	port, mesh, metrics := sitePort, false, false
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether this machine can carry the labs, and say how to mend what cannot",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			docker, _ := provision.Connect(ctx)
			findings := preflight(ctx, docker, port, mesh, metrics)
			if a.output == "json" {
				if err := a.writeJSON(findings); err != nil {
					return err
				}
			} else {
				a.writeFindings(findings, true)
			}
			return failed(findings)
		},
	}
	c.Flags().IntVar(&port, "port", port, "port of the pages")
	c.Flags().BoolVar(&mesh, "mesh", false, "the labs need a mesh")
	c.Flags().BoolVar(&metrics, "metrics", false, "the labs need a mesh and Prometheus")
	outputFlag(a, c)
	return c
}

func preflight(ctx context.Context, docker *client.Client, port int, mesh, metrics bool) []provision.Finding {
	facts := provision.Look(ctx, docker, port)
	facts.Mesh, facts.Metrics = mesh, metrics
	return provision.Judge(facts)
}

// failed is an error when one of the findings is.
func failed(findings []provision.Finding) error {
	n := 0
	for _, f := range findings {
		if f.Level == provision.Fail {
			n++
		}
	}
	switch n {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("one thing must be mended first")
	}
	return fmt.Errorf("%d things must be mended first", n)
}

// writeFindings prints the problems, and with all also what is good.
func (a *app) writeFindings(findings []provision.Finding, all bool) {
	w := a.out
	if !all {
		w = a.err
	}
	for _, f := range findings {
		switch f.Level {
		case provision.Good:
			if all {
				fmt.Fprintf(w, "%s %-16s %s\n", a.paint(green, "✓"), f.Name, clean(f.Found))
			}
			continue
		case provision.Warn:
			fmt.Fprintf(w, "%s %-16s %s\n", a.paint(yellow, "!"), f.Name, clean(f.Found))
		case provision.Fail:
			fmt.Fprintf(w, "%s %-16s %s\n", a.paint(red, "✗"), f.Name, clean(f.Found))
		}
		fmt.Fprintf(w, "    why  %s\n    fix  %s\n", f.Why, f.Fix)
	}
}
