package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kindlab/kindlab/provision"
	"github.com/kindlab/kindlab/site/join"
	"github.com/spf13/cobra"
)

func newLeave(a *app) *cobra.Command {
	now := false
	c := &cobra.Command{
		Use:   "leave",
		Short: "Leave the class that this machine has joined",
		Long: `leave sends what the hub has not heard yet, and then nothing any more. Your environment, your
files and your progress stay: kindlab up goes on without the class.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.leave(cmd.Context(), now) },
	}
	c.Flags().BoolVar(&now, "now", false, "though the hub has not heard everything")
	return c
}

func (a *app) leave(ctx context.Context, now bool) error {
	place, err := join.ReadPlace(a.placeFile())
	if err != nil {
		return err
	}
	if !place.Joined() {
		return &provision.Hinted{Err: errors.New("this machine is in no class"), Hint: "`kindlab join` takes it into one"}
	}
	store, err := a.store()
	if err != nil {
		return err
	}
	defer store.Close()
	short, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	said := ""
	sender, err := join.NewSender(join.SenderConfig{Place: place, Outbox: store, Say: func(text string) { said = text }})
	if err == nil {
		sender.Empty(short)
	}
	_, passes, err := store.CountWaiting(ctx)
	if err != nil {
		return err
	}
	if passes > 0 && !now && !sender.Ended() {
		return &provision.Hinted{Err: fmt.Errorf("the hub has not heard of %s yet: %s", count(passes, "check that passed", "checks that passed"), first(clean(said), "it does not answer")),
			Hint: "leave again when it can be reached, or leave without that: kindlab leave --now"}
	}
	client, err := join.NewClient(place.Hub, place.CA)
	if err != nil {
		return err
	}
	defer client.Close()
	revoked := new(join.Refusal)
	if err := client.Leave(short, place.Token); err != nil && !(errors.As(err, &revoked) && revoked.Reason == join.ReasonRevoked) {
		fmt.Fprintf(a.err, "%s %v; it will see that this machine is gone\n", a.paint(yellow, "!"), err)
	}
	class := place.Class
	// The machine stays the same, should it come back.
	if err := (&join.Place{Machine: place.Machine}).Write(a.placeFile()); err != nil {
		return err
	}
	fmt.Fprintf(a.err, "You have left the class %s. Your environment and your progress stay: go on with `kindlab up`.\n", clean(class))
	return nil
}

// count is a number with what it counts.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
