//go:build e2e && unix

package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A window is a real browser that notes what speaks up without being asked.
type window struct {
	ctx context.Context

	mu      sync.Mutex
	dialogs []string
}

func newWindow(t *testing.T) *window {
	w := &window{ctx: (&journey{t: t}).browser()}
	require.NoError(t, chromedp.Listen(w.ctx, func(event any) {
		if d, ok := event.(*page.EventJavascriptDialogOpening); ok {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.dialogs = append(w.dialogs, d.Message)
		}
	}))
	return w
}

func (w *window) open(t *testing.T, address string) {
	t.Helper()
	require.NoError(t, chromedp.Do(w.ctx, chromedp.Navigate(address)), address)
}

// see waits until a JavaScript expression is true.
func (w *window) see(t *testing.T, js string) {
	t.Helper()
	if !assert.Eventually(t, func() bool {
		is, err := chromedp.Run(w.ctx, chromedp.Evaluate[bool](js, chromedp.EvalAwaitPromise))
		return err == nil && is
	}, patience, 100*time.Millisecond, js) {
		text, _ := chromedp.Run(w.ctx, chromedp.Evaluate[string](`document.body.innerText`))
		t.Fatalf("not seen: %s; the page says:\n%s", js, text)
	}
}

// quiet shows that nothing ran that is not ours. The fields of these tests hold
// scripts that set window.ran, and images that are not there.
func (w *window) quiet(t *testing.T, where string) {
	t.Helper()
	ran, err := chromedp.Run(w.ctx, chromedp.Evaluate[bool](`window.ran !== undefined || document.querySelector('img[src="x"], svg[onload], script:not([src])') !== null`))
	require.NoError(t, err)
	assert.False(t, ran, "%s: markup in a field is markup of the page", where)
	w.mu.Lock()
	defer w.mu.Unlock()
	assert.Empty(t, w.dialogs, where)
}
