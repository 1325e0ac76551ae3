package main

import (
	"github.com/kindlab/kindlab/provision"
	"github.com/kindlab/kindlab/provision/machine"
	"github.com/spf13/cobra"
)

func newMachine(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "machine",
		Short: "Make classroom machines out of a plain Debian or Ubuntu",
		RunE:  help,
		Args:  subcommand,
	}
	o := machine.Default()
	text := func(name, short, long string, make func(machine.Options) ([]byte, error)) *cobra.Command {
		sub := &cobra.Command{
			Use: name, Short: short, Long: long, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				data, err := make(o)
				if err != nil {
					return &provision.Hinted{Err: err, Hint: "see `kindlab machine " + name + " --help`"}
				}
				_, err = a.out.Write(data)
				return err
			},
		}
		f := sub.Flags()
		f.StringVar(&o.User, "user", o.User, "who learns: an account of their own, which may use Docker")
		f.StringVar(&o.Binary, "binary", o.Binary, "where kindlab is on the machine")
		f.IntVar(&o.Port, "port", o.Port, "port of the pages")
		return sub
	}
	cloud := text("cloud-init", "Print the cloud-init file of a machine", `cloud-init prints the user-data that makes a classroom machine: Docker, what several nodes need
of the kernel, an account for who learns, and kindlab as a service. Without --from it expects kindlab
in the image. With --hub and --code the machine joins the class by itself, under its host name.`, machine.CloudInit)
	f := cloud.Flags()
	f.StringVar(&o.From, "from", "", "address to fetch kindlab from")
	f.StringVar(&o.SHA256, "sha256", "", "SHA-256 of what is fetched")
	f.StringVar(&o.Hub, "hub", "", "hub of the class to join")
	f.StringVar(&o.Code, "code", "", "code of the class")
	c.AddCommand(cloud, text("unit", "Print the systemd unit of kindlab", `unit prints the systemd unit that serves the course on a machine, for the account of who learns.
It goes to /etc/systemd/system/kindlab.service.`, machine.Unit))
	return c
}
