//go:build e2e

package site

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAnswerAndWhyInTheBrowser answers by keyboard, and sees the verdict and why.
func TestAnswerAndWhyInTheBrowser(t *testing.T) {
	w := demo(t)
	why := verdict("scaled", labs.Failing, "because Service hello selects app=helo, and no pod has that label")
	why.Chain = []string{"Service `hello` selects app=helo: 0 pods", "no pod has that label"}
	why.RuledOut = []string{"no network policy is in the way"}
	w.say("scale-it", why)
	given := make(chan string, 1)
	cfg := w.config()
	cfg.Question = func(_, _ string, c *labs.Check) *Question {
		if c.ID != "scaled" {
			return nil
		}
		return &Question{Text: "Which signal does `docker stop` send first?", Choices: []string{"SIGKILL", "SIGTERM"}, Most: 100}
	}
	cfg.Answer = func(_ context.Context, _, _, _, text string) error { given <- text; return nil }
	_, server := serve(t, cfg)
	ctx := open(t)
	require.NoError(t, chromedp.Do(ctx, size(720, 900), chromedp.Navigate(server.URL+"/demo/scale-it/")))
	becomes(t, ctx, `document.querySelector('[data-check=scaled] .why') !== null`)
	require.NoError(t, chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-check=scaled] .why summary').click()`)))
	assert.Contains(t, script[string](t, ctx, `document.querySelector('[data-check=scaled] .why').innerText`), "no network policy is in the way")

	why.Chain = append(why.Chain, "one more link")
	w.say("scale-it", why)
	becomes(t, ctx, `document.querySelector('[data-check=scaled] .why').innerText.includes('one more link')`)
	assert.True(t, script[bool](t, ctx, `document.querySelector('[data-check=scaled] .why').open`), "what was opened stays open")
	if dir := os.Getenv("SITE_SHOTS"); dir != "" {
		require.NoError(t, chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](`document.querySelector('form.answer').scrollIntoView({block: 'center'})`), chromedp.Sleep(300*time.Millisecond)))
		png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "answer.png"), png, 0o644))
	}

	require.NoError(t, chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](`
		const radio = document.querySelectorAll('form.answer input')[1];
		radio.focus(); radio.checked = true;
		document.querySelector('form.answer').requestSubmit();`)))
	becomes(t, ctx, `document.querySelector('form.answer .sent').textContent === 'Sent'`)
	assert.Equal(t, "SIGTERM", <-given)
}
