package main

import (
	"fmt"

	"github.com/kindlab/kindlab/provision"
	"github.com/spf13/cobra"
)

func newDown(a *app) *cobra.Command {
	mesh := false
	c := &cobra.Command{
		Use:   "down",
		Short: "Remove what kindlab made: cluster, registry, and the labs' containers",
		Long: `down removes the cluster, the local registry, the network between them, and the
containers and images that carry the labs' labels. Your work folder and your
progress stay, and so does everything that kindlab did not make.

With --mesh it only takes Istio and Prometheus away, with all objects of Istio's
kinds.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if err := a.notInClass("down"); err != nil {
				return err
			}
			docker, err := provision.Connect(ctx)
			if err != nil {
				return err
			}
			if err := provision.Ping(ctx, docker); err != nil {
				return &provision.Hinted{Err: err, Hint: "run `kindlab doctor`"}
			}
			e := a.place(docker, a.reporter())
			if mesh {
				return e.RemoveMesh(ctx)
			}
			if err := e.Down(ctx); err != nil {
				return err
			}
			fmt.Fprintf(a.err, "Your files stay in %s and your progress in %s.\n", a.work, a.state)
			return nil
		},
	}
	c.Flags().BoolVar(&mesh, "mesh", false, "only take the mesh away; the cluster stays")
	return c
}
