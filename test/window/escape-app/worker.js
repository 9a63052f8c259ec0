self.onmessage = ({ data }) => fetch(data, { mode: 'no-cors' }).catch(() => {});
