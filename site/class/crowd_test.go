package class

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
)

var names = []string{"Ada Lovelace", "Grace Hopper", "Bob", "Zoë Müller-Łukaszewicz", "عائشة", "王小明", "Jean-Baptiste Emanuel Zorg von und zu Hohenlohe",
	`<script>alert("x")</script>`, "=HYPERLINK(1)", "Kim", "Noor", "Tomás"}

// crowd makes a class of n attendees in the middle of the course: some are ahead,
// some have not come in, and many have one of a few causes in the way.
func crowd(t testing.TB, n int) *world {
	t.Helper()
	w := newWorld(t)
	w.class.Attendees = nil
	now := time.Now()
	for i := range n {
		p := labs.Person{ID: fmt.Sprintf("p%03d", i), Name: names[i%len(names)]}
		if i >= len(names) {
			p.Name = fmt.Sprintf("%s %d", []string{"Anna", "Ben", "Chidi", "Dana", "Emil", "Fatima"}[i%6], i)
		}
		w.class.Attendees = append(w.class.Attendees, p)
		entered := now.Add(-40*time.Minute + time.Duration(i)*10*time.Second)
		if i%15 == 14 {
			continue // not in yet
		}
		require.NoError(t, w.store.ChangeMember(t.Context(), p.ID, func(m *progress.Member) error {
			m.Name, m.Entered = p.Name, entered
			return nil
		}))
		pass := func(lab, check string, after time.Duration) {
			require.NoError(t, w.store.Pass(t.Context(), p.ID, "demo", lab, check, entered.Add(after)))
		}
		pass("first-container", "runs", time.Duration(4+i%3)*time.Minute)
		if i%5 == 4 {
			w.say(p.ID, "scale-it", verdict("scaled", labs.Failing, fmt.Sprintf("Deployment hello has %d of %d ready replicas", i%3, 3+i%4)))
			continue
		}
		pass("scale-it", "scaled", time.Duration(10+i%7)*time.Minute)
		cause := labs.Verdict{Check: "answers", State: labs.Failing, That: "the Service answers on port 80", At: now, Findings: []labs.Finding{{
			Expected: "HTTP 200", Got: "no ready endpoint",
			Because: fmt.Sprintf("Service hello selects app=%s, and no pod has that label", []string{"helo", "hello-v2", "web"}[i%3]),
			Nearest: "3 ready pods have app=hello", Look: "spec.selector in `kubectl get service hello -o yaml`"}}}
		switch i % 4 {
		case 0:
			w.say(p.ID, "scale-it", cause)
		case 1:
			pass("scale-it", "answers", 20*time.Minute)
			pass("scale-it", "named", time.Duration(20+i%9)*time.Minute)
			w.say(p.ID, "scale-it", verdict("updated", labs.Failing, fmt.Sprintf("%d of 214 requests got HTTP 502 while the old pods went away", i)))
		case 2:
			w.say(p.ID, "scale-it", verdict("answers", labs.Unknown, "the cluster does not answer at 127.0.0.1:6443"))
		case 3:
			pass("scale-it", "answers", 19*time.Minute)
			pass("scale-it", "named", 19*time.Minute)
			pass("scale-it", "updated", time.Duration(30+i%8)*time.Minute)
		}
	}
	return w
}
