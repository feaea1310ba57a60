// How photos come in: chosen, dropped or pasted.
const entry = (() => {
  function watch(take) {
    const section = document.querySelector('.entry');
    element.choose.addEventListener('change', () => {
      take([...element.choose.files]);
      element.choose.value = '';  // or the same photo would be no change
    });
    addEventListener('dragover', (event) => {
      event.preventDefault();
      section.classList.add('over');
    });
    addEventListener('dragleave', (event) => {
      if (!event.relatedTarget) section.classList.remove('over');
    });
    addEventListener('drop', (event) => {
      event.preventDefault();
      section.classList.remove('over');
      take([...event.dataTransfer.files]);
    });
    addEventListener('paste', (event) => take([...event.clipboardData.files]));
  }

  // Makes room once there are photos.
  function shrink() {
    document.querySelector('.entry').classList.add('small');
    element['choose-text'].textContent = 'Add photos';
  }

  return {watch, shrink};
})();
